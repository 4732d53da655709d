"""What a device remembers between starts: versions and time that never fall, and the last good whole.

Nothing here admits anything; what it remembers can only make admission stricter.
"""
