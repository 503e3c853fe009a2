"""JPEG and MPO: colour spaces, subsampling, scans, restarts, segments, sizes."""

from __future__ import annotations

import base64
import itertools
import struct

import cv2
import numpy as np
from PIL import Image

from tests.images.pictures import encode
from tests.images.valid import GRAY, RGB, Files, as_rgb

_FACTORS = {
    "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    "4:4:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440,
    "4:2:2": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "4:1:1": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_411,
}

#: The drawn picture with arithmetic coding, in base 85. No package writes it, so it was made by ``jpegtran
# -arithmetic``.
_ARITHMETIC = (
    "|JeWF01!$>Nk#wx0RR9200961|JwjV00IF40RaI50RaI50s;a81OoyB0s;jD1Oo&H1qKEN1qKEN2MGuU2MGrT1_%oX2?`1d3JL}Y3k(Yi3<("
    "Mf3jf;xLjeK;0s;a81p@;G3I_%U3JMAe3JMAe3JMAe3JMAe3JMAe3JMAe3JMAe3JMAe3JMAe3JMAe3JMAe3JMAe3JU+p01*fPB>*)80TBQK5"
    "di}c0sqVZ3IGrg1pyEd1^?Or3<CiG0ucid06zf#0PVnLJW)h$!TVez1$*c6alN;6xK5)>x&7F40w%z#y^_=tB!${j7HIpgBV<`2uoz+AA*ks"
    "w%~<xNMAq;J&zQ0SrWlxE)ZWVkf{BgnZaUJ;_vbAMjp8QDLtfPtoTZW@yo330T=WAPr)G0Q`8HevmLV7^=iSm3oQ^OBUso#7QKo3f<7k_`UZ"
    "ce1jK)%bv&uOU>6g*ejSaSy{!b@*umJnbs84$Ka6<fr*v3?W0c3#{9xvYkyzLRYL4|1GS0194Sg>1%x=TTVk}RAqWUH~@6kfz?e8g!v^{EKn"
    "$<Qbpz<{dLeE51KkpBSRHe+po%7Zs{i5#9|de$-"
    "vVmugu_&0*GmzCK#r(3Gkt<k0s+|f<8C^A_+M|4Nz>(O1L^WeIC*;;Cb`F;!iIG1Nbo8Sj?95;)iD|G4ta8~;yVb4jI{X~tb#^-"
    ")94r!=4xEor$3JQLQ=Q>B`jLm_D3644{EkLFwmO!rh^tTsIRKz(SxdP{QT;YHTjql-"
    "|&F$dT_SB@2crkwwPd|RJ4G!C$9YUKIZmHHYZfsY;OlmLo^|=8+|Je"
)


def files() -> Files:
    found: Files = {}
    color, gray = Image.fromarray(RGB), Image.fromarray(GRAY)
    for (name, factor), progressive, optimised, restarts in itertools.product(
        _FACTORS.items(), (False, True), (False, True), (0, 3)
    ):
        options = [
            *(cv2.IMWRITE_JPEG_QUALITY, 95),
            *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor),
            *(cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)),
            *(cv2.IMWRITE_JPEG_OPTIMIZE, int(optimised)),
            *(cv2.IMWRITE_JPEG_RST_INTERVAL, restarts),
        ]
        kind = f"{name}{' progressive' if progressive else ''}{' optimised' if optimised else ''}"
        data = cv2.imencode(".jpg", cv2.cvtColor(RGB, cv2.COLOR_RGB2BGR), options)[1].tobytes()
        found[f"{kind}{' restarts' if restarts else ''}"] = (data, RGB)
    for progressive in (False, True):
        end = " progressive" if progressive else ""
        found[f"gray{end}"] = (encode(gray, "JPEG", quality=95, progressive=progressive), as_rgb(GRAY))
        found[f"rgb without YCbCr{end}"] = (
            encode(color, "JPEG", quality=95, keep_rgb=True, progressive=progressive),
            RGB,
        )
    ink = np.dstack([255 - RGB, GRAY // 4])
    seen = (255 - ink[..., :3].astype(float)) * (255 - ink[..., 3:]) / 255
    cmyk = encode(Image.fromarray(ink, "CMYK"), "JPEG", quality=98, subsampling=0)
    adobe = cmyk.index(b"Adobe") - 4
    found["cmyk"] = (cmyk, seen)
    found["cmyk without Adobe's mark"] = (cmyk[:adobe] + cmyk[adobe + 16 :], seen)
    # The inks are converted to YCbCr as if they were red, green and blue; black is stored inverted as before.
    turned = np.dstack([np.asarray(Image.fromarray(ink[..., :3]).convert("YCbCr")), 255 - ink[..., 3:]])
    ycck = encode(Image.fromarray(255 - turned, "CMYK"), "JPEG", quality=98, subsampling=0)
    found["ycck"] = (ycck[: adobe + 15] + b"\2" + ycck[adobe + 16 :], seen)
    plain = encode(color, "JPEG", quality=95)
    segments = {
        "comment": (0xFE, b"hello"),
        "XMP": (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"),
        "profile": (0xE2, b"ICC_PROFILE\0\1\1" + bytes(200)),
        "Photoshop": (0xED, b"Photoshop 3.0\0"),
        "segment 15": (0xEF, b"?"),
    }
    for name, (marker, body) in segments.items():
        segment = struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
        found[f"with {name}"] = (plain[:2] + segment + plain[2:], RGB)
        found[f"with {name}, without JFIF"] = (plain[:2] + segment + plain[20:], RGB)
    found["arithmetic coding"] = (base64.b85decode(_ARITHMETIC), RGB)
    found["fill bytes"] = (plain[:2] + b"\xff\xff\xff" + plain[2:], RGB)
    found["bytes after the end"] = (plain + bytes(50), RGB)
    found["mpo"] = (encode(color, "MPO", quality=95, save_all=True, append_images=[gray.convert("RGB")]), RGB)
    for height, width in ((1, 1), (1, 9), (9, 1), (8, 8), (17, 16)):
        cut = RGB[:height, :width]
        data = encode(Image.fromarray(cut), "JPEG", quality=95, subsampling=0)
        found[f"{width} x {height}"] = (data, cut)
    return found
