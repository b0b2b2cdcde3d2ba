"""Kernels on oneDNN, the CPU library of convolutions, matrix products and the like.

Each public module here holds the implementations of the module of the same name in `cpu`, for float32 (convolutions and
products: bfloat16 too); what they do not take goes to NumPy. `config.use_ideep` switches them: 'auto' uses oneDNN where
there is one (see _library), 'never' does not, 'always' raises RuntimeError if there is none. Results are the same in
every run with the same number of threads.
"""
