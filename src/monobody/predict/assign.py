"""Who goes with whom: the pairs of rows and columns whose costs add up to least."""

import math

import numpy as np
from jaxtyping import Float


def pairs_of_least_cost(cost: Float[np.ndarray, "n m"]) -> list[tuple[int, int]]:
    """Return the best pairs (row, column), each row and column at most once; costs of infinity are no pairs.

    As many pairs as possible are made, and among these the cheapest choice: shortest augmenting paths.
    """
    rows, columns = cost.shape
    if not rows or not columns:
        return []
    finite = cost[np.isfinite(cost)]
    if not len(finite):
        return []
    # Forbidden pairs cost more than any choice of allowed ones could; they are taken out again at the end.
    ban = float(finite.max() - finite.min() + 1) * (min(rows, columns) + 1)
    size = max(rows, columns)
    filled = np.full((size, size), ban)
    filled[:rows, :columns] = np.where(np.isfinite(cost), cost - finite.min(), ban)
    of_column = [-1] * size
    row_price, column_price = np.zeros(size), np.zeros(size)
    for start in range(size):
        distance, before = np.full(size, math.inf), [-1] * size
        done = np.zeros(size, bool)
        row, column, walked = start, -1, 0.0
        while True:
            reach = walked + filled[row] - row_price[row] - column_price
            closer = ~done & (reach < distance - 1e-12)
            distance[closer] = reach[closer]
            for each in np.flatnonzero(closer):
                before[each] = column
            open_columns = np.flatnonzero(~done)
            column = int(open_columns[distance[open_columns].argmin()])
            walked = float(distance[column])
            done[column] = True
            if of_column[column] < 0:
                break
            row = of_column[column]
        # Prices move so that what was found stays the cheapest.
        for each in np.flatnonzero(done):
            gain = walked - distance[each]
            column_price[each] -= gain
            if of_column[each] >= 0:
                row_price[of_column[each]] += gain
        row_price[start] += walked
        while column >= 0:
            earlier = before[column]
            of_column[column] = of_column[earlier] if earlier >= 0 else start
            column = earlier
    found = [(row, column) for column, row in enumerate(of_column) if row < rows and column < columns]
    return sorted((row, column) for row, column in found if math.isfinite(cost[row, column]))
