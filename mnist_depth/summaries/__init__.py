"""What a run shows on the board besides its curves; everything here is made from run folders, without TensorFlow."""
