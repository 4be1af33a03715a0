"""What the lessons show and nothing else needs: exercise checkers, sliders, figures, the toy problem."""
