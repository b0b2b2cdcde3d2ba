"""Where the files of well-known datasets come from: a local folder, the download cache, or one of several mirrors."""

import dataclasses
import gzip
import hashlib
import os

from chainlite.dataset.download import download_path, download_whole, get_dataset_root


@dataclasses.dataclass(frozen=True)
class Source:
    """One file of a dataset.

    Attributes:
        dataset: Folder of the dataset under ``pfnet/chainer`` in the root.
        name: Name of the file.
        md5: Digest of the file, or of its content before compression by gzip.
        mirrors: URLs of the folders that have it, tried in order.
        retired: URLs that no longer have it, but under which older programs may have put it into the cache.
    """

    dataset: str
    name: str
    md5: str
    mirrors: tuple
    retired: tuple = ()

    @property
    def folder(self):
        """Where a user can put the file."""
        return os.path.join(get_dataset_root(), 'pfnet', 'chainer', self.dataset)

    def read(self):
        """Returns the content, uncompressed if the file is compressed by gzip.

        It is looked for in :attr:`folder`, in a folder of the dataset's name in the root and in the root itself, then
        in the cache; then it is downloaded.

        Raises:
            RuntimeError: if it is nowhere, with the reasons and what to do.
        """
        problems = []
        folders = (self.folder, os.path.join(get_dataset_root(), self.dataset), get_dataset_root())
        names = (self.name, self.name.removesuffix('.gz'))
        paths = [os.path.join(folder, name) for folder in folders for name in names]
        paths += [download_path(url + self.name) for url in self.mirrors + self.retired]
        for path in filter(os.path.isfile, paths):
            try:
                return self._content(path)
            except OSError as e:
                problems.append(f'{path} {e}')
        for url in self.mirrors:
            try:
                return self._download(url + self.name)
            except OSError as e:
                problems.append(f'{url + self.name}: {e}')
        raise RuntimeError(
            f'The dataset file {self.name} could not be downloaded ({"; ".join(problems)}). '
            f'Get it elsewhere and put it into the folder {self.folder}'
        )

    def _download(self, url):
        contents = []

        def check(path):
            try:
                contents.append(self._content(path))
            except OSError as e:
                raise OSError(f'it {e}')

        download_whole(url, download_path(url), check)
        return contents[0]

    def _content(self, path):
        """Returns the content of a file; raises OSError if it is not the one meant."""
        with open(path, 'rb') as f:
            data = f.read()
        content = data
        if data[:2] == b'\x1f\x8b':
            try:
                content = gzip.decompress(data)
            except (OSError, EOFError) as e:
                raise OSError(f'is broken: {e}')
        if self.md5 not in (hashlib.md5(data).hexdigest(), hashlib.md5(content).hexdigest()):
            raise OSError('has another content')
        return content
