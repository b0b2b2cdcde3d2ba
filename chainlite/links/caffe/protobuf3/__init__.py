"""Caffe's messages, at the path where Chainer has them."""
