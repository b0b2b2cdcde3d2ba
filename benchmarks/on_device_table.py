"""Prints the figures of on_device.py as Markdown: ``python benchmarks/on_device_table.py results/DEVICE-DATE.json``."""

import json
import sys
from pathlib import Path


def rows_of(report, *sections):
    """The rows of these sections, errors left out."""
    found = [row for name in sections for row in report['sections'].get(name, {}).get('rows', [])]
    return [row for row in found if 'error' not in row]


def kind_of(row):
    """'float32', 'TF32', 'float16' ..."""
    return 'TF32' if row['mode'] == 'tf32' else row['dtype']


def table(head, rows):
    """Lines of a table."""
    return ['| ' + ' | '.join(cells) + ' |' for cells in (head, ['---'] * len(head), *rows)] + ['']


def training(report):
    """Training: images per second and memory of each variant, and its speed as a share of PyTorch's."""
    return _networks(rows_of(report, 'small_networks', 'resnet50', 'vgg16_googlenet', 'compiled'), 'ms a step')


def predictions(report):
    """Predictions: the same."""
    return _networks(rows_of(report, 'predictions'), 'ms a batch')


def _networks(found, milliseconds):
    eager = {_case(row): row['ms'] for row in found if row['variant'] == 'PyTorch' and 'ms' in row}
    head = ['network, batch', 'type', 'variant', milliseconds, 'images/s', 'PyTorch / this', 'GiB', 'loss differs by']
    lines = []
    for row in found:
        if 'ms' not in row:
            continue
        ratio = eager[_case(row)] / row['ms'] if _case(row) in eager else None
        lines.append(
            [
                f'{row["network"]}, {row["batch"]}',
                kind_of(row),
                row['variant'],
                f'{row["ms"]:.2f} ±{row["spread"] * 50:.0f} %',
                f'{row["images_per_s"]:,.0f}',
                '' if ratio is None else f'{ratio:.2f}',
                '' if not row.get('bytes') else f'{row["bytes"] / 2**30:.2f}',
                f'{row["loss_difference"]:.1g}' if 'loss_difference' in row else '',
            ]
        )
    return table(head, lines)


def _case(row):
    return row['network'], row['batch'], row['dtype'], row['mode']


def kernels(report):
    """Bandwidth: the share of a copy's, by dtype."""
    found = rows_of(report, 'bandwidth')
    dtypes = list(dict.fromkeys(row['dtype'] for row in found))
    by_name = {}
    for row in found:
        by_name.setdefault(row['kernel'], {})[row['dtype']] = row
    lines = []
    for name, of in by_name.items():
        cells = [f'{of[d]["share_of_copy"]:.0%} ({of[d]["gb_per_s"]:,.0f} GB/s)' if d in of else '' for d in dtypes]
        lines.append([name, *cells])
    return table(['kernel', *dtypes], lines)


def products(report):
    """Matrix products and convolutions: TFLOP/s, and the share of cuBLAS's in a large product."""
    found = rows_of(report, 'products')
    lines = []
    for row in found:
        name = ' x '.join(map(str, row['product'])) if 'product' in row else f'{row["convolution"]}, {row["part"]}'
        shares = row.get('share_of_cublas', {})
        for by, rate in row['tflop_per_s'].items():
            lines.append([name, kind_of(row), by, f'{rate:.1f}', f'{shares[by]:.0%}' if by in shares else ''])
    return table(['operation', 'type', 'by', 'TFLOP/s', "share of cuBLAS's"], lines)


def main():
    report = json.loads(Path(sys.argv[1]).read_text())
    versions = {k: v for row in rows_of(report, 'versions') for k, v in row.items() if k != 'nvidia_smi'}
    print(f'{report["date"]}, commit {(report["commit"] or "unknown")[:10]}')
    print(', '.join(f'{name} {value}' for name, value in versions.items()), '\n')
    for name, section in report['sections'].items():
        summary = '; '.join(section.get('summary', []))
        if section['status'] != 0 or summary:
            print(f'- {name}: {section["status"] or "good"} {summary}')
    print()
    for part in training, predictions, kernels, products:
        print(part.__doc__, '\n')
        print('\n'.join(part(report)))


if __name__ == '__main__':
    main()
