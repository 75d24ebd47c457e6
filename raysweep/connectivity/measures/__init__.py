"""Measures of the points of a curve besides loss and error, one per file.

Each is a function of one point. By their names it takes those of these arguments that it needs: `logits`
(examples, classes) of the mixture, `end_logits` (networks, examples, classes), `labels` (examples,),
`weights` (networks,) float64, and the hidden units by layer, `features` (examples, ...) and `end_features`
(networks, examples, ...). It returns a number, or several by the names of its parts.
"""
