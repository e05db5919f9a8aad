"""motorque.fitting"""
