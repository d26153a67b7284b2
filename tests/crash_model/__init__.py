"""
What a crash leaves of a journal, after the ALICE paper (Pillai et al., OSDI 2014).

The real journal runs in a real directory; `interposer` writes down every change it makes to a
file or a directory, `volume` knows from that what the page cache holds and what the disk may
hold, `oracle` knows what was promised. Every point between two changes (and in the middle of
one) gives crash states; each is recovered by the real journal and judged by `judge`.
"""
