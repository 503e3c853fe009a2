"""Classifiers as people build them outside zoo, one function per kind, all tiny and with seeded random weights.

The functions use only Keras, in the style of its tutorials. ``fit_head`` then fits the last layer to the drawn photos,
so that the predictions have margins like those of a trained model, which 8 bits must keep.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

SIZE, CLASSES = 32, 3


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Args:
        name: Name of the kind.
        build: Builds the model; its head is fitted afterwards.
        says: Parts of the command's messages if the model is exported.
        refused: Parts of the error if the model is refused.
        options: Further options of the command.
        labels: Number of labels.
        long: Whether the test takes more than a few seconds.
        no_int8: Parts of the error if int8 is refused and float32 is exported.
    """

    name: str
    build: Callable[[], keras.Model]
    says: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    labels: int = CLASSES
    long: bool = False
    no_int8: tuple[str, ...] = ()


KINDS: list[Kind] = []


def kind(name: str, **settings: Any) -> Callable[[Callable[[], keras.Model]], Callable[[], keras.Model]]:
    def add(build: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
        KINDS.append(Kind(name, build, **settings))
        return build

    return add


def image(*, channels: int = 3, **settings: Any) -> Any:
    return keras.Input((SIZE, SIZE, channels), **settings)


def head(x: Any, activation: str | None = "softmax") -> Any:
    if len(x.shape) == 4:
        x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(CLASSES, activation=activation)(x)


def conv(x: Any, filters: int = 8, size: int = 3, **settings: Any) -> Any:
    return layers.Conv2D(filters, size, **({"padding": "same", "activation": "relu"} | settings))(x)


def scaled(inputs: Any) -> Any:
    return layers.Rescaling(1 / 255)(inputs)


def between(body: Callable[[Any], Any]) -> keras.Model:
    """``body`` between the scaling of pixels and the usual head."""
    inputs = image()
    return keras.Model(inputs, head(body(scaled(inputs))))


# keras.applications, transfer-learned


@kind("MobileNetV2, nested as a layer", long=True)
def mobilenetv2_nested() -> keras.Model:
    base = keras.applications.MobileNetV2(input_shape=(SIZE, SIZE, 3), alpha=0.35, include_top=False, weights=None)
    base.trainable = False
    inputs = image()
    x = layers.RandomFlip("horizontal")(inputs)
    x = layers.RandomRotation(0.1)(x)
    x = keras.applications.mobilenet_v2.preprocess_input(x)
    x = base(x, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


@kind("EfficientNetV2B0, its preprocessing included", long=True)
def efficientnet() -> keras.Model:
    base = keras.applications.EfficientNetV2B0(
        input_shape=(SIZE, SIZE, 3), include_top=False, weights=None, pooling="avg", include_preprocessing=True
    )
    return keras.Sequential([base, layers.Dropout(0.2), layers.Dense(CLASSES, activation="softmax")])


@kind("ResNet50 with caffe's preprocess_input in the model", long=True)
def resnet50() -> keras.Model:
    inputs = image()
    x = keras.applications.resnet50.preprocess_input(inputs)
    x = keras.applications.ResNet50(input_shape=(SIZE, SIZE, 3), include_top=False, weights=None)(x)
    return keras.Model(inputs, head(x))


@kind("MobileNetV3Small", long=True)
def mobilenetv3() -> keras.Model:
    base = keras.applications.MobileNetV3Small(
        input_shape=(SIZE, SIZE, 3), include_top=False, weights=None, pooling="avg"
    )
    return keras.Model(base.input, layers.Dense(CLASSES, activation="softmax")(base.output))


@kind("DenseNet121 with torch's preprocess_input", long=True)
def densenet() -> keras.Model:
    inputs = image()
    x = keras.applications.densenet.preprocess_input(inputs)
    x = keras.applications.DenseNet121(input_shape=(SIZE, SIZE, 3), include_top=False, weights=None, pooling="avg")(x)
    return keras.Model(inputs, head(x))


# Ways to put a model together


@kind("Sequential with Input", long=True)
def sequential() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(16, activation="relu"),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


@kind("Sequential without Input, built by its first photo", says=("batch",), long=True)
def sequential_unbuilt() -> keras.Model:
    model = keras.Sequential(
        [
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(8, 3, activation="relu"),
            layers.GlobalMaxPooling2D(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model(np.zeros((1, SIZE, SIZE, 3), "float32"))
    return model


@kind("Sequential with input_shape in its first layer", long=True)
def sequential_old_style() -> keras.Model:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras advises against it, but tutorials still use it
        first = layers.Rescaling(1 / 255, input_shape=(SIZE, SIZE, 3))
    return keras.Sequential(
        [
            first,
            layers.Conv2D(8, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(CLASSES),
            layers.Softmax(),
        ]
    )


@kind("nested functional and Sequential models", long=True)
def nested() -> keras.Model:
    inner = image()
    block = keras.Model(inner, conv(conv(inner, 3), 3), name="block")
    inputs = image()
    x = keras.Sequential([layers.Rescaling(1 / 255), layers.ZeroPadding2D(1), layers.Conv2D(3, 3)], name="stem")(inputs)
    x = block(x)
    return keras.Model(inputs, keras.Sequential([layers.Flatten(), layers.Dense(CLASSES, activation="softmax")])(x))


@kind("a layer called twice")
def shared_layer() -> keras.Model:
    def body(x: Any) -> Any:
        same = layers.Conv2D(8, 3, padding="same", activation="relu")
        norm = layers.BatchNormalization()
        x = conv(x)
        return norm(same(norm(same(x))))

    return between(body)


@kind("a model called twice", long=True)
def shared_model() -> keras.Model:
    inner = keras.Input((SIZE, SIZE, 8))
    block = keras.Model(inner, layers.BatchNormalization()(conv(inner)))
    return between(lambda x: block(block(conv(x))))


@kind("branches: concatenated, multiplied, added, maximum")
def branches() -> keras.Model:
    def body(x: Any) -> Any:
        one, two = conv(x), conv(x, size=1)
        three = layers.Multiply()([one, two])
        return layers.Concatenate()([layers.Add()([one, three]), layers.Maximum()([one, two]), one - two])

    return between(body)


# Blocks


@kind("dense blocks: concatenations of all that came before", long=True)
def dense_blocks() -> keras.Model:
    def body(x: Any) -> Any:
        x = layers.MaxPooling2D(4)(conv(x))
        for _ in range(3):
            y = layers.ReLU()(layers.BatchNormalization()(x))
            y = layers.ReLU()(layers.BatchNormalization()(conv(y, size=1, activation=None)))
            x = layers.Concatenate()([x, conv(y, 4, activation=None)])
        return layers.ReLU()(layers.BatchNormalization()(x))

    return between(body)


@kind("what is concatenated is read by a convolution too: tanh, ReLU, an average", long=True)
def concatenated_and_read() -> keras.Model:
    def body(x: Any) -> Any:
        x = conv(x, strides=4)
        for maker in (layers.Activation("tanh"), layers.ReLU(), layers.AveragePooling2D(2)):
            x = maker(x)
            x = layers.Concatenate()([x, conv(x, 4, activation=None)])
        return x

    return between(body)


@kind("Vision Transformer", long=True)
def vit() -> keras.Model:
    inputs = image()
    width, patches = 16, 16
    x = layers.Conv2D(width, 8, strides=8)(scaled(inputs))
    x = layers.Reshape((patches, width))(x)
    x = x + layers.Embedding(patches, width)(ops.arange(patches))
    for _ in range(2):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.MultiHeadAttention(2, width // 2, dropout=0.1)(y, y)
        x = layers.Add()([x, y])
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        y = layers.Dense(2 * width, activation="gelu")(y)
        x = layers.Add()([x, layers.Dense(width)(y)])
    x = layers.LayerNormalization(epsilon=1e-6)(x)
    return keras.Model(inputs, head(layers.GlobalAveragePooling1D()(x)))


@kind("patches cut by ops.image.extract_patches", long=True)
def extracted_patches() -> keras.Model:
    inputs = image()
    x = ops.image.extract_patches(scaled(inputs), 8)
    x = layers.Reshape((16, 192))(x)
    return keras.Model(inputs, head(layers.GlobalAveragePooling1D()(layers.Dense(16, activation="relu")(x))))


@kind("squeeze and excitation", long=True)
def squeeze_excitation() -> keras.Model:
    def body(x: Any) -> Any:
        x = conv(x)
        s = layers.GlobalAveragePooling2D(keepdims=True)(x)
        s = layers.Dense(4, activation="relu")(s)
        return layers.Multiply()([x, layers.Dense(8, activation="sigmoid")(s)])

    return between(body)


@kind("squeeze and excitation by Reshape and Dense", long=True)
def squeeze_excitation_by_reshape() -> keras.Model:
    def body(x: Any) -> Any:
        x = conv(x)
        s = layers.Reshape((1, 1, 8))(layers.GlobalAveragePooling2D()(x))
        s = layers.Conv2D(4, 1, activation="swish")(s)
        return x * layers.Conv2D(8, 1, activation="hard_sigmoid")(s)

    return between(body)


@kind("hard-swish, SiLU, GELU, ELU, CELU, Mish, PReLU, LeakyReLU", long=True)
def activations() -> keras.Model:
    def body(x: Any) -> Any:
        names = ("hard_swish", "silu", "gelu", "elu", "celu", "mish", "softplus", "relu6", "tanh")
        branches = [conv(x, 4, activation=name) for name in names]
        branches.append(layers.PReLU(shared_axes=[1, 2])(conv(x, 4, activation=None)))
        return layers.Concatenate()([*branches, layers.LeakyReLU(0.1)(conv(x, 4, activation=None))])

    return between(body)


@kind("ConvNeXt block", long=True)
def convnext() -> keras.Model:
    def body(x: Any) -> Any:
        x = layers.LayerNormalization(epsilon=1e-6)(layers.Conv2D(8, 4, strides=4)(x))
        y = layers.DepthwiseConv2D(7, padding="same")(x)
        y = layers.LayerNormalization(epsilon=1e-6)(y)
        y = layers.Dense(32, activation="gelu")(y)
        return x + layers.Dense(8)(y)

    return between(body)


@kind("grouped convolution", long=True)
def grouped() -> keras.Model:
    def body(x: Any) -> Any:
        x = layers.Conv2D(8, 3, padding="same", groups=4, strides=2)(conv(x))
        x = layers.ReLU()(layers.BatchNormalization()(x))
        return layers.Conv2D(16, 3, groups=2, activation="relu")(x)

    return between(body)


@kind("dilated, strided, transposed and separable convolution", long=True)
def convolutions() -> keras.Model:
    def body(x: Any) -> Any:
        x = conv(x, dilation_rate=2)
        x = conv(x, strides=2)
        x = layers.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu")(x)
        x = layers.SeparableConv2D(8, 3, strides=2, padding="same", activation="relu")(x)
        x = layers.DepthwiseConv2D(3, dilation_rate=2, depth_multiplier=2)(x)
        return layers.UpSampling2D()(x)

    return between(body)


@kind("pooling: padded average, padded maximum, global maximum", long=True)
def pooling() -> keras.Model:
    inputs = image()
    x = layers.AveragePooling2D(3, strides=2, padding="same")(conv(scaled(inputs)))
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(layers.GlobalMaxPooling2D()(x)))


@kind("BatchNormalization without scale or centre, and before the convolution")
def batch_norm() -> keras.Model:
    def body(x: Any) -> Any:
        x = layers.BatchNormalization(scale=False)(conv(x, activation=None))
        x = layers.BatchNormalization(center=False)(conv(x, activation=None))
        x = layers.BatchNormalization()(x)
        return conv(layers.ReLU()(x))

    return between(body)


@kind("GroupNormalization, SpatialDropout", long=True)
def group_norm() -> keras.Model:
    def body(x: Any) -> Any:
        x = layers.GroupNormalization(4)(conv(x))
        return layers.SpatialDropout2D(0.1)(conv(x))

    return between(body)


@kind("UnitNormalization and ops.normalize", long=True)
def unit_length() -> keras.Model:
    def body(x: Any) -> Any:
        x = ops.normalize(conv(layers.UnitNormalization()(conv(x))), axis=-1)
        return conv(x)

    return between(body)


@kind(
    "GRU over the rows", no_int8=("belong to other layers", "GRU layer 'gru'", "Export --precision float16"), long=True
)
def recurrent() -> keras.Model:
    inputs = image()
    x = layers.Reshape((8, 4 * SIZE * 3))(scaled(inputs))
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(layers.GRU(8)(x)))


# Layers before the convolutions


@kind("augmentation layers in the model", long=True)
def augmentation() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(0.1),
            layers.RandomZoom(0.1),
            layers.RandomTranslation(0.1, 0.1),
            layers.RandomContrast(0.1),
            layers.RandomBrightness(0.1),
            layers.GaussianNoise(0.1),
            layers.Rescaling(1 / 255),
            layers.Conv2D(8, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.3),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )


@kind("an adapted Normalization", long=True)
def normalization() -> keras.Model:
    norm = layers.Normalization()
    norm.adapt(np.random.default_rng(0).integers(0, 256, (8, SIZE, SIZE, 3)).astype("float32"))
    inputs = image()
    return keras.Model(inputs, head(conv(norm(inputs))))


@kind("Resizing and CenterCrop in the model", long=True)
def resizing() -> keras.Model:
    inputs = keras.Input((40, 48, 3))
    x = layers.CenterCrop(36, 36)(inputs)
    return keras.Model(inputs, head(conv(scaled(layers.Resizing(SIZE, SIZE)(x)))))


@kind("a tensor constant in a subtraction", long=True)
def tensor_constant() -> keras.Model:
    inputs = image()
    x = (inputs - ops.convert_to_tensor([123.7, 116.8, 103.9])) / ops.convert_to_tensor([58.4, 57.1, 57.4])
    return keras.Model(inputs, head(conv(x)))


@kind("a large tensor constant", long=True)
def large_tensor_constant() -> keras.Model:
    inputs = image()
    mean = np.random.default_rng(0).uniform(90, 160, (SIZE, SIZE, 3))
    x = (inputs - ops.convert_to_tensor(mean, "float32")) / 128
    return keras.Model(inputs, head(conv(x)))


@kind("a NumPy constant and Python numbers", long=True)
def numpy_constant() -> keras.Model:
    inputs = image()
    x = (inputs - np.array([123.7, 116.8, 103.9], "float32")) * (1 / 58)
    return keras.Model(inputs, head(ops.relu(conv(ops.flip(x, -1), activation=None))))


# Precision


@kind("mixed_bfloat16", says=("computes in bfloat16", "float32"), long=True)
def mixed_bfloat16() -> keras.Model:
    return _under("mixed_bfloat16", sequential)


@kind("mixed_float16", says=("computes in float16", "float32"), long=True)
def mixed_float16() -> keras.Model:
    return _under("mixed_float16", sequential)


@kind("float16", says=("computes in float16", "float32"), long=True)
def float16() -> keras.Model:
    return _under("float16", sequential)


def _under(policy: str, build: Callable[[], keras.Model]) -> keras.Model:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return build()
    finally:
        keras.config.set_dtype_policy(before)


@kind("after model.quantize('int8')", refused=("quantize", "dense"))
def quantized() -> keras.Model:
    model = sequential()
    model.quantize("int8")
    return model


# Inputs


@kind("a fixed batch", says=("batch",))
def fixed_batch() -> keras.Model:
    inputs = keras.Input(batch_shape=(1, SIZE, SIZE, 3))
    return keras.Model(inputs, head(conv(scaled(inputs))))


@kind("gray photos", says=("gray",))
def gray() -> keras.Model:
    inputs = image(channels=1)
    return keras.Model(inputs, head(conv(scaled(inputs))))


@kind("a free height and width", refused=("height and width", "keras.Input((224, 224, 3))"))
def free_size() -> keras.Model:
    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, head(conv(scaled(inputs))))


@kind("channels first", refused=("channels_first",))
def channels_first() -> keras.Model:
    inputs = keras.Input((3, SIZE, SIZE))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(8, 3, activation="relu", data_format="channels_first")(x)
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(x)
    return keras.Model(inputs, layers.Dense(CLASSES, activation="softmax")(x))


@kind("two inputs", refused=("2 inputs",))
def two_inputs() -> keras.Model:
    one, two = image(name="one"), image(name="two")
    return keras.Model([one, two], head(conv(layers.Concatenate()([one, two]))))


@kind("an input in a dict", long=True)
def dict_input() -> keras.Model:
    inputs = image(name="photo")
    return keras.Model({"photo": inputs}, head(conv(scaled(inputs))))


# Outputs


@kind("one sigmoid output", says=("two probabilities",), labels=2)
def sigmoid() -> keras.Model:
    inputs = image()
    x = layers.Flatten()(layers.MaxPooling2D(4)(conv(scaled(inputs))))
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


@kind("logits, no softmax", says=("softmax",))
def logits() -> keras.Model:
    inputs = image()
    return keras.Model(inputs, head(conv(scaled(inputs)), activation=None))


@kind("softmax as an operation", long=True)
def softmax_operation() -> keras.Model:
    inputs = image()
    return keras.Model(inputs, ops.softmax(head(conv(scaled(inputs)), activation=None)))


@kind("a dict with one output", long=True)
def dict_output() -> keras.Model:
    inputs = image()
    return keras.Model(inputs, {"label": head(conv(scaled(inputs)))})


@kind("a list with one output", long=True)
def list_output() -> keras.Model:
    inputs = image()
    return keras.Model(inputs, [head(conv(scaled(inputs)))])


@kind("two outputs", refused=("2 outputs", "'label'", "keras.Model(model.inputs[0], model.output"))
def two_outputs() -> keras.Model:
    inputs = image()
    x = conv(scaled(inputs))
    box = layers.Dense(4, name="box")(layers.Flatten()(x))
    return keras.Model(inputs, {"label": head(x), "box": box})


@kind("an output of (None, 1, 1, classes)", says=("(None, 1, 1, 3)",), long=True)
def spatial_output() -> keras.Model:
    inputs = image()
    x = layers.GlobalAveragePooling2D(keepdims=True)(conv(scaled(inputs)))
    return keras.Model(inputs, layers.Softmax()(layers.Conv2D(CLASSES, 1)(x)))


@kind("a map of classes", refused=("(None, 8, 8, 3)", "one row"))
def map_output() -> keras.Model:
    inputs = image()
    return keras.Model(inputs, layers.Conv2D(CLASSES, 1, activation="softmax")(conv(scaled(inputs), strides=4)))


@kind("one sigmoid for each of three classes", refused=("sigmoid", "single label per image"))
def multilabel() -> keras.Model:
    inputs = image()
    return keras.Model(inputs, head(conv(scaled(inputs)), activation="sigmoid"))


# Models with custom code


class Doubling(layers.Layer):
    """A custom layer, which only its author's code contains."""

    def call(self, inputs: Any) -> Any:
        return inputs * 2.0


@kind("a Lambda layer", refused=("Lambda", "lambda", "keras.ops"))
def lambda_layer() -> keras.Model:
    return between(lambda x: conv(layers.Lambda(lambda value: value * 2.0)(x)))


@kind("a Lambda layer and a custom layer", refused=("Lambda", "(keras.layers.Lambda, Doubling)"))
def lambda_and_custom_layer() -> keras.Model:
    return between(lambda x: Doubling()(conv(layers.Lambda(lambda value: value * 2.0)(x))))


@kind("a custom layer", refused=("Doubling", "register_keras_serializable"))
def custom_layer() -> keras.Model:
    return between(lambda x: Doubling()(conv(x)))


class Subclassed(keras.Model):
    """A model whose calls are Python code."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.convolution = layers.Conv2D(8, 3, activation="relu")
        self.pool = layers.GlobalAveragePooling2D()
        self.classify = layers.Dense(CLASSES, activation="softmax")

    def call(self, inputs: Any) -> Any:
        return self.classify(self.pool(self.convolution(inputs / 255.0)))


@kind("a subclassed model", refused=("Subclassed", "keras.Model(inputs, outputs)"))
def subclassed() -> keras.Model:
    model = Subclassed()
    model(np.zeros((1, SIZE, SIZE, 3), "float32"))
    return model


def fit_head(model: keras.Model, photos: NDArray[np.float32], classes: NDArray[np.int64]) -> None:
    """Fits the weights of the last dense layer to the photos, by least squares on its inputs.

    Before that, BatchNormalization layers get other statistics, because with the initial ones, a deep network has no
    margins.
    """
    last = next((layer for layer in reversed(_layers(model)) if isinstance(layer, layers.Dense)), None)
    if last is None or last.units > CLASSES or not model.built or not getattr(model, "inputs", None):
        return
    if not isinstance(last.kernel, keras.Variable):
        return
    _settle(model, photos)
    features = _inputs(last, model, photos)
    if features.ndim != 2:
        return
    middle, spread = features.mean(0), features.std(0) + 1e-6
    design = np.concatenate([(features - middle) / spread, np.ones((len(features), 1))], axis=1)
    wanted = np.eye(CLASSES)[classes] * 8 - 4 if last.units > 1 else (classes[:, None] > 0) * 8.0 - 4
    # The dual form is used, because there may be thousands of features for a few photos.
    found = design.T @ np.linalg.solve(design @ design.T + 3.0 * np.eye(len(design)), wanted)
    kernel = found[:-1] / spread[:, None]
    last.set_weights([kernel, found[-1] - middle @ kernel])


def _layers(model: keras.Model) -> list[keras.Layer]:
    """The layers of a model and of its nested models, in order."""
    found: list[keras.Layer] = []
    for layer in model.layers:
        found += _layers(layer) if isinstance(layer, keras.Model) else [layer]
    return found


def _settle(model: keras.Model, photos: NDArray[np.float32]) -> None:
    """Gives BatchNormalization layers, including frozen ones, the statistics of the photos and an offset of 1.

    With the initial statistics, the features of a deep network hardly depend on the photo, and float32 cannot
    distinguish the difference from noise. With an offset of 0, the ReLU of each of fifty layers sets half of its inputs
    to zero, which slightly amplifies noise each time. Noise of half a gray level in a photo is then three quarters of
    the difference between photos at the end of MobileNetV2, and a tenth with an offset of 1. Trained networks have
    learnt not to amplify noise.
    """
    norms = [layer for layer in _layers(model) if isinstance(layer, layers.BatchNormalization)]
    before = [(norm.momentum, norm.trainable) for norm in norms]
    for norm in norms:
        norm.momentum, norm.trainable = 0.0, True
        norm.call = lambda inputs, training=None, mask=None, norm=norm: type(norm).call(norm, inputs, training=True)
        if norm.center:
            norm.beta.assign(keras.ops.ones_like(norm.beta))
    if norms:
        _ask(model, photos)
    for norm, (norm.momentum, norm.trainable) in zip(norms, before, strict=True):
        del norm.call


def _ask(model: keras.Model, photos: NDArray[np.float32]) -> None:
    """Calls a model, whose single input may be in a dictionary."""
    taken = getattr(model, "input", None)  # a Sequential that was never called has no input
    model(dict.fromkeys(taken, photos) if isinstance(taken, dict) else photos, training=False)


def _inputs(layer: keras.Layer, model: keras.Model, photos: NDArray[np.float32]) -> NDArray[np.float64]:
    """The inputs of a layer of a model or of a nested model."""
    seen = []

    def call(inputs: Any, training: bool | None = None) -> Any:
        seen.append(np.asarray(keras.ops.convert_to_numpy(inputs), np.float64))
        return type(layer).call(layer, inputs)

    layer.call = call
    _ask(model, photos)
    del layer.call
    return seen[0]
