"""Exercise checkers: each takes the reader's own function and says in words what is wrong with it.

One module a lesson (``architecture``, ``baselines``, ``distillation``, ``assistants``, ``ensembles``, ``analysis``); a
lesson's cell reads ``distillation.check_soft_loss(my_soft_loss)``. An exercise that is not done never stops "Run All".
"""
