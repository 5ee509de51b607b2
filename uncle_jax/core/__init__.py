"""The mathematics: packing, hypernetwork, main network, losses, steps and their loop.

Pure functions over arrays and the frozen CLState. No files, no data sets, no method.
"""
