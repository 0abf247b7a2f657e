"""What the record of the shadow models says: arrays in, arrays out, no TensorFlow."""
