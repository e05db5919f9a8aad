"""motorque.mechanics"""
