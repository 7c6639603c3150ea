"""experiment"""
import numpy as np
from processors.sources.base import Block
class SecondHop:
    name = "hop"
    columns = ("hop",)
    def __init__(self, settings): pass
    def propose(self, visitors, index):
        last = visitors.positions < 1
        rows, slots = visitors.rows[last], visitors.slots[last]
        A,Bk = 12,16
        n1 = index.neighbours[slots][:, :A]; w1 = index.together[slots][:, :A].astype(np.float64)
        n2 = index.neighbours[n1][:, :, :Bk]; w2 = index.together[n1][:, :, :Bk] * w1[:, :, None]
        k = A*Bk
        w=w2.ravel(); keep=w>0
        return Block(np.repeat(rows, k)[keep], n2.reshape(-1).astype(np.int64)[keep], (w[keep],), np.repeat(slots, k)[keep])
