"""The table: one row for each architecture of ``keras.applications`` that is suitable for edge devices.

These have up to 61 million parameters and images of up to 400 px.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Pixels:
    """The pixel values that a family expects: ``scale * pixel + offset``.

    Args:
        scale, offset: Values for red, green and blue.
        reads_bgr: Whether the published kernels of the first convolution expect the order blue, green, red.
    """

    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    reads_bgr: bool = False


_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

#: Mean and standard deviation of the pixels of ImageNet.
TORCH = Pixels(
    scale=(1 / (255 * _STD[0]), 1 / (255 * _STD[1]), 1 / (255 * _STD[2])),
    offset=(-_MEAN[0] / _STD[0], -_MEAN[1] / _STD[1], -_MEAN[2] / _STD[2]),
)
#: -1 to 1.
TF = Pixels(scale=(1 / 127.5,) * 3, offset=(-1.0,) * 3)
#: -1 to 0.99.
TF128 = Pixels(scale=(1 / 128,) * 3, offset=(-1.0,) * 3)
#: The mean colour is subtracted, without scaling.
CAFFE = Pixels(scale=(1.0,) * 3, offset=(-123.68, -116.779, -103.939), reads_bgr=True)


@dataclass(frozen=True)
class Application:
    """One architecture.

    Args:
        name: Name in zoo.
        factory: Name of the function in ``keras.applications``.
        size_px: Side of the square images on which it was trained.
        smallest_px: Smallest side for which it can be built.
        pixels: The pixel values that it expects.
        parameters: Number of parameters in millions, with 1000 classes.
        file: Name of the file of its ImageNet weights with the head, in Keras.
        checksum: MD5 or SHA-256 of that file in Keras. Empty if Keras has none.
        expected_failures: The reason why a conformance check cannot pass, by the name of the check.
    """

    name: str
    factory: str
    size_px: int
    smallest_px: int
    pixels: Pixels
    parameters: float
    file: str
    checksum: str
    expected_failures: Mapping[str, str] = field(default_factory=dict)


_DEEP = (
    "152 layers of random weights amplify the rounding of float16: a probability differs by 0.0134, and 0.01 is allowed"
)

# fmt: off
APPLICATIONS = (
    Application("mobilenet_v1", "MobileNet", 224, 32, TF, 4.3, "mobilenet_1_0_224_tf.h5", ""),
    Application("mobilenet_v3_small", "MobileNetV3Small", 224, 32, TF, 2.6, "weights_mobilenet_v3_small_224_1.0_float.h5", "8768d4c2e7dee89b9d02b2d03d65d862"),
    Application("mobilenet_v3_large", "MobileNetV3Large", 224, 32, TF, 5.5, "weights_mobilenet_v3_large_224_1.0_float.h5", "59e551e166be033d707958cf9e29a6a7"),
    Application("nasnet_mobile", "NASNetMobile", 224, 32, TF, 5.3, "nasnet_mobile.h5", "020fb642bf7360b370c678b08e0adf61"),
    Application("densenet121", "DenseNet121", 224, 32, TORCH, 8.1, "densenet121_weights_tf_dim_ordering_tf_kernels.h5", "9d60b8095a5708f2dcce2bca79d332c7"),
    Application("densenet169", "DenseNet169", 224, 32, TORCH, 14.3, "densenet169_weights_tf_dim_ordering_tf_kernels.h5", "d699b8f76981ab1b30698df4c175e90b"),
    Application("densenet201", "DenseNet201", 224, 32, TORCH, 20.2, "densenet201_weights_tf_dim_ordering_tf_kernels.h5", "1ceb130c1ea1b78c3bf6114dbdfd8807"),
    Application("efficientnet_b0", "EfficientNetB0", 224, 32, TORCH, 5.3, "efficientnetb0.h5", "902e53a9f72be733fc0bcb005b3ebbac"),
    Application("efficientnet_b1", "EfficientNetB1", 240, 32, TORCH, 7.9, "efficientnetb1.h5", "1d254153d4ab51201f1646940f018540"),
    Application("efficientnet_b2", "EfficientNetB2", 260, 32, TORCH, 9.2, "efficientnetb2.h5", "b15cce36ff4dcbd00b6dd88e7857a6ad"),
    Application("efficientnet_b3", "EfficientNetB3", 300, 32, TORCH, 12.3, "efficientnetb3.h5", "ffd1fdc53d0ce67064dc6a9c7960ede0"),
    Application("efficientnet_b4", "EfficientNetB4", 380, 32, TORCH, 19.5, "efficientnetb4.h5", "18c95ad55216b8f92d7e70b3a046e2fc", {"export_onnx_int8": "30 of the 32 photos get the same prediction as from Keras, one fewer than required; with the TFLite file, 32 do"}),
    Application("efficientnetv2_b0", "EfficientNetV2B0", 224, 32, TORCH, 7.2, "efficientnetv2-b0.h5", "21ecbf6da12460d5c40bb2f29ceb2188"),
    Application("efficientnetv2_b1", "EfficientNetV2B1", 240, 32, TORCH, 8.2, "efficientnetv2-b1.h5", "069f0534ff22adf035c89e2d9547a9dc"),
    Application("efficientnetv2_b2", "EfficientNetV2B2", 260, 32, TORCH, 10.2, "efficientnetv2-b2.h5", "424e49f28180edbde1e94797771950a7"),
    Application("efficientnetv2_b3", "EfficientNetV2B3", 300, 32, TORCH, 14.5, "efficientnetv2-b3.h5", "1f1fc43bd98a6e4fd8fdfd551e02c7a0"),
    Application("efficientnetv2_s", "EfficientNetV2S", 384, 32, TF128, 21.6, "efficientnetv2-s.h5", "e1d88a8495beba45748fedd0cecbe016"),
    Application("resnet50", "ResNet50", 224, 32, CAFFE, 25.6, "resnet50_weights_tf_dim_ordering_tf_kernels.h5", "2cb95161c43110f7111970584f804107"),
    Application("resnet101", "ResNet101", 224, 32, CAFFE, 44.7, "resnet101_weights_tf_dim_ordering_tf_kernels.h5", "f1aeb4b969a6efcfb50fad2f0c20cfc5"),
    Application("resnet152", "ResNet152", 224, 32, CAFFE, 60.4, "resnet152_weights_tf_dim_ordering_tf_kernels.h5", "100835be76be38e30d865e96f2aaae62", {"export_onnx_float16": _DEEP, "export_tflite_float16": _DEEP}),
    Application("resnet50v2", "ResNet50V2", 224, 32, TF, 25.6, "resnet50v2_weights_tf_dim_ordering_tf_kernels.h5", "3ef43a0b657b3be2300d5770ece849e0"),
    Application("resnet101v2", "ResNet101V2", 224, 32, TF, 44.7, "resnet101v2_weights_tf_dim_ordering_tf_kernels.h5", "6343647c601c52e1368623803854d971"),
    Application("resnet152v2", "ResNet152V2", 224, 32, TF, 60.4, "resnet152v2_weights_tf_dim_ordering_tf_kernels.h5", "a49b44d1979771252814e80f8ec446f9"),
    Application("convnext_tiny", "ConvNeXtTiny", 224, 32, TORCH, 28.6, "convnext_tiny.h5", "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff"),
    Application("convnext_small", "ConvNeXtSmall", 224, 32, TORCH, 50.2, "convnext_small.h5", "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c"),
    Application("xception", "Xception", 299, 71, TF, 22.9, "xception_weights_tf_dim_ordering_tf_kernels.h5", "0a58e3b7378bc2990ea3b43d5981f1f6"),
    Application("inception_v3", "InceptionV3", 299, 75, TF, 23.9, "inception_v3_weights_tf_dim_ordering_tf_kernels.h5", "9a0d58056eeedaa3f26cb7ebd46da564"),
    Application("inception_resnet_v2", "InceptionResNetV2", 299, 75, TF, 55.9, "inception_resnet_v2_weights_tf_dim_ordering_tf_kernels.h5", "e693bd0210a403b3192acc6073ad2e96"),
)
# fmt: on

BY_NAME = {application.name: application for application in APPLICATIONS}
