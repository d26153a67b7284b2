"""
A fast source of every Python value a program may hand us, good, odd and hostile.

`hypothesis` shrinks better (`strategies.anything`) but makes a few hundred examples a second;
this makes tens of thousands, and knows of most values what must be reported about them.
"""
