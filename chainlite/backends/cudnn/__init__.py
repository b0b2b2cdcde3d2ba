"""Kernels for CuPy arrays by cuDNN, through its Python frontend (the extra `cudnn`).

Each public module here holds the implementations of the module of the same name in `cpu`. What cuDNN does not take, or
has no plan for, goes to the kernels in `gpu`; a cuDNN that fails is left alone from then on, with one warning.
"""
