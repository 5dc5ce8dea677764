"""People in flight while their journey is edited: is everything they get allowed, and how long does
it take?"""
