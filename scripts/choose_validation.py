"""Write the lists of photos that are kept from training: 500 of LSP Extended, 100 of Clothing Co-Parsing.

    python scripts/choose_validation.py --data DIR

The lists are committed; running this again with the same data gives the same lists.
"""

import argparse
from pathlib import Path

import numpy as np

from monobody.files import atomic_write

ASSETS = Path(__file__).parents[1] / "src" / "monobody" / "assets"
KEPT = {"lsp_extended": 500, "clothing_coparsing": 100}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    for name, count in KEPT.items():
        names = sorted(path.stem for path in (data / name / "images").glob("*.jpg"))
        chosen = sorted(np.random.default_rng(0).choice(names, count, replace=False).tolist())
        target = ASSETS / f"{name}_validation.txt"
        with atomic_write(target) as path:
            path.write_text("\n".join(chosen) + "\n")
        print(f"{target}: {count} of {len(names)}")


if __name__ == "__main__":
    main()
