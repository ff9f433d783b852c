"""Between protobuf and `values`. Format: `sdk/go/common/resource/sig` and `plugin/rpc.go` (v3.274.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.protobuf.struct_pb2 import (  # type: ignore[import-untyped]
    NULL_VALUE,
    ListValue,
    Struct,
)
from google.protobuf.struct_pb2 import (
    Value as WireValue,
)

from toolchain.plugins.shared.values import (
    UNKNOWN,
    Archive,
    Asset,
    Props,
    ResourceReference,
    Secret,
    Unknown,
    Value,
)

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a signature
ASSET: Final = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE: Final = "0def7320c3a5731c473e5ecbe6d01bc7"
RESOURCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
UNKNOWN_STRINGS: Final = frozenset(
    {
        UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


def decode(struct: Struct) -> Props:
    """The properties in `struct`."""
    return {key: decode_value(item) for key, item in struct.fields.items()}


def encode(props: Mapping[str, Value]) -> Struct:
    """`props` for the wire."""
    return Struct(fields={key: encode_value(item) for key, item in props.items()})


def decode_value(value: WireValue) -> Value:
    """One value from the wire."""
    kind = value.WhichOneof("kind")
    if kind == "bool_value":
        return bool(value.bool_value)
    if kind == "number_value":
        return float(value.number_value)
    if kind == "string_value":
        return UNKNOWN if value.string_value in UNKNOWN_STRINGS else str(value.string_value)
    if kind == "list_value":
        return [decode_value(item) for item in value.list_value.values]
    if kind == "struct_value":
        return _decode_struct(value.struct_value)
    return None


def _decode_struct(struct: Struct) -> Value:
    signature = struct.fields[SIGNATURE].string_value if SIGNATURE in struct.fields else None
    if signature is None:
        return decode(struct)
    if signature == SECRET:
        return Secret(decode_value(struct.fields["value"]))
    if signature == ASSET:
        return _decode_asset(struct)
    if signature == ARCHIVE:
        return _decode_archive(struct)
    if signature == OUTPUT:
        inner = decode_value(struct.fields["value"]) if "value" in struct.fields else UNKNOWN
        return Secret(inner) if "secret" in struct.fields and struct.fields["secret"].bool_value else inner
    if signature == RESOURCE:
        return ResourceReference(
            urn=_text(struct, "urn") or "",
            id=_text(struct, "id"),
            package_version=_text(struct, "packageVersion") or "",
        )
    raise ValueError(f"a value carries the signature {signature}, which this plugin doesn't know")


def _text(struct: Struct, name: str) -> str | None:
    return struct.fields[name].string_value if name in struct.fields else None


def _decode_asset(struct: Struct) -> Asset:
    path, uri, text = _text(struct, "path") or None, _text(struct, "uri") or None, _text(struct, "text")
    if path is None and uri is None:
        text = text or ""  # the engine leaves an empty text out
    return Asset(path=path, uri=uri, text=text or None if path or uri else text, hash=_text(struct, "hash"))


def _decode_archive(struct: Struct) -> Archive:
    path, uri = _text(struct, "path") or None, _text(struct, "uri") or None
    assets: dict[str, Asset | Archive] | None = None
    if path is None and uri is None:
        assets = {}
        if "assets" in struct.fields:
            for key, item in decode(struct.fields["assets"].struct_value).items():
                if not isinstance(item, Asset | Archive):
                    raise ValueError(f"the archive's entry {key!r} is neither an asset nor an archive")
                assets[key] = item
    return Archive(path=path, uri=uri, assets=assets, hash=_text(struct, "hash"))


def encode_value(value: Value) -> WireValue:
    """One value for the wire."""
    if value is None:
        return WireValue(null_value=NULL_VALUE)
    if isinstance(value, bool):
        return WireValue(bool_value=value)
    if isinstance(value, int | float):
        return WireValue(number_value=value)
    if isinstance(value, str):
        return WireValue(string_value=value)
    if isinstance(value, list):
        return WireValue(list_value=ListValue(values=[encode_value(item) for item in value]))
    if isinstance(value, dict):
        return WireValue(struct_value=encode(value))
    if isinstance(value, Unknown):
        return WireValue(string_value=UNKNOWN_STRING)
    if isinstance(value, Secret):
        return _signed(SECRET, {"value": value.value})
    if isinstance(value, Asset):
        return _signed(ASSET, {"path": value.path, "text": value.text, "uri": value.uri, "hash": value.hash})
    if isinstance(value, Archive):
        fields: Props = {"path": value.path, "uri": value.uri, "hash": value.hash}
        if value.assets is not None:
            entries: Props = {}
            entries.update(value.assets)
            fields["assets"] = entries
        return _signed(ARCHIVE, fields)
    return _signed(RESOURCE, {"urn": value.urn, "id": value.id, "packageVersion": value.package_version})


def _signed(signature: str, fields: Props) -> WireValue:
    kept = {key: item for key, item in fields.items() if item is not None or signature == SECRET}
    return WireValue(struct_value=encode({SIGNATURE: signature, **kept}))
