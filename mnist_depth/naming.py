"""Names of layers: zero-padded, so that every tool sorts them in depth order."""


def layer_name(index: int, depth: int) -> str:
    """`layer_03` for the third of up to 99 weight layers, `layer_003` in deeper networks; `index` counts from 1.

    >>> layer_name(3, depth=9)
    'layer_03'
    >>> layer_name(3, depth=100)
    'layer_003'
    """
    return f"layer_{index:0{max(2, len(str(depth)))}d}"
