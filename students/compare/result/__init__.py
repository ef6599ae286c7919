"""From measurements to a verdict: rows, sums with intervals, the table and the sentence."""
