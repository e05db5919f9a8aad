"""motorque.workflows"""
