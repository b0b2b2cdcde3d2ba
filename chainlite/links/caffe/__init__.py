"""Networks of Caffe, run as links."""

from chainlite.links.caffe.caffe_function import CaffeFunction
