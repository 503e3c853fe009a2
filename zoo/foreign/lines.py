"""Lines of Python in a hint: complete, so that they can be pasted and run."""

from __future__ import annotations


def indented(*lines: str) -> str:
    """Lines below a sentence."""
    return "".join(f"\n    {line}" for line in lines)


def loading(name: str, *lines: str, settings: str = "compile=False") -> str:
    """Lines that begin with ``model``, the model of a file.

    Args:
        name: Path of the file.
        lines: What to do with it.
        settings: What it is loaded with.
    """
    return indented("import keras", f"model = keras.models.load_model({name!r}, {settings})", *lines)


def opening(name: str, opened: tuple[str, ...], custom: tuple[str, ...], *, unsafe: bool = False) -> str:
    """Lines that open layers which are Python code, so that their operations become layers of the graph.

    Args:
        name: Path of the file.
        opened: Classes of these layers.
        custom: Those of them that are not Keras's.
        unsafe: Whether loading the model runs code that is in the file.
    """
    objects = ", ".join(f'"{kind}": {kind}' for kind in custom)
    settings = ["compile=False", *(["safe_mode=False"] if unsafe else [])]
    settings += [f"custom_objects={{{objects}}}"] if custom else []
    classes = opened[0] if len(opened) == 1 else f"({', '.join(opened)})"
    return loading(
        name,
        "model = keras.Model(model.inputs[0], model.outputs[0])",
        "def opened(layer, *args, **kwargs):",
        f"    return layer.call(*args, **kwargs) if isinstance(layer, {classes}) else layer(*args, **kwargs)",
        "opened = keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=opened)",
        'opened.save("opened.keras")',
        settings=", ".join(settings),
    )
