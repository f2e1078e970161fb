"""Keep: what a file of wye holds, how it is written so that nothing is lost, and how it is read so that nothing runs.

No framework in here: the fronts say what their models are made of, and fill them.
"""
