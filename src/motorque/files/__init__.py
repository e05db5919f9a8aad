"""motorque.files"""
