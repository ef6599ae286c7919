"""From measurements to a verdict: rows, costs with intervals, the table and the sentences."""
