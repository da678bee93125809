"""Features of images, computed by a convolutional network and kept in folders of shards."""
