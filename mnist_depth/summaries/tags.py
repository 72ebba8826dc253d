"""Tags of the text and the picture that answer the question; they sort first, for boards without the Depth tab."""

VERDICT, PROFILE = "0_verdict", "0_gradient_by_layer"
