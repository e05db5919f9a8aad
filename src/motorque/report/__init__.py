"""motorque.report"""
