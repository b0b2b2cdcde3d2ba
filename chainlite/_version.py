__version__ = '0.1.0'

#: The version of Chainer whose interface this is.
chainer_version = '7.8.1'
