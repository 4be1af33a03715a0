"""Exercise checkers: each takes the reader's own function and says in words what is wrong with it.

One module a lesson; a lesson's cell reads ``distillation.check_soft_loss(my_soft_loss)``. ``declared`` makes a checker
of cases, the right value and known mistakes; ``verdict`` lets nothing raise. A stub never stops "Run All".
"""
