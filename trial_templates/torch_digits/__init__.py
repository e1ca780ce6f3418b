"""A convolutional network on digits in PyTorch: a metric after every epoch, so hopeless trials can be stopped early."""
