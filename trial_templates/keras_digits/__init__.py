"""A convolutional network on digits in Keras, whose own TensorBoard callback tells the metrics."""
