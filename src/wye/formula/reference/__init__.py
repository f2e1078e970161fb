"""The reference: a formula evaluated in NumPy float64, one piece after the other, just as it is written.

It plans nothing and spreads everything, so that what it computes is plainly what the text says. Generated code is
held against it; schedules and `evaluate` on arrays use it.
"""

from .evaluation import evaluate as evaluate
