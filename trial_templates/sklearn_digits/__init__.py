"""Which scikit-learn model reads digits best, and with which parameters? Three seconds a trial."""
