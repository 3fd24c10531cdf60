"""What files are, by their extension: IANA's media types, the same on every machine.

The system's own tables (`mimetypes`, /etc/mime.types) differ from one machine to the next, so they are not
asked. Text is UTF-8 here; JSON and XML say for themselves what they are, and a charset would mean nothing
(RFC 8259, section 11).
"""

from __future__ import annotations

_TEXT = {
    "css": "text/css",
    "csv": "text/csv",
    "htm": "text/html",
    "html": "text/html",
    "ics": "text/calendar",
    "js": "text/javascript",
    "log": "text/plain",
    "markdown": "text/markdown",
    "md": "text/markdown",
    "mjs": "text/javascript",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "vcf": "text/vcard",
    "vtt": "text/vtt",
    "xsl": "text/xml",
}

_COMPRESSIBLE = {
    "atom": "application/atom+xml",
    "bmp": "image/bmp",
    "eot": "application/vnd.ms-fontobject",
    "geojson": "application/geo+json",
    "gltf": "model/gltf+json",
    "ico": "image/x-icon",
    "json": "application/json",
    "jsonld": "application/ld+json",
    "kml": "application/vnd.google-earth.kml+xml",
    "map": "application/json",
    "m3u8": "application/vnd.apple.mpegurl",
    "mpd": "application/dash+xml",
    "otf": "font/otf",
    "rss": "application/rss+xml",
    "svg": "image/svg+xml",
    "toml": "application/toml",
    "ttf": "font/ttf",
    "wasm": "application/wasm",
    "webmanifest": "application/manifest+json",
    "xhtml": "application/xhtml+xml",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}

_COMPRESSED = {
    "7z": "application/x-7z-compressed",
    "aac": "audio/aac",
    "apng": "image/apng",
    "avif": "image/avif",
    "bz2": "application/x-bzip2",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "epub": "application/epub+zip",
    "flac": "audio/flac",
    "gif": "image/gif",
    "glb": "model/gltf-binary",
    "gz": "application/gzip",
    "heic": "image/heic",
    "jar": "application/java-archive",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "jxl": "image/jxl",
    "m4a": "audio/mp4",
    "m4s": "video/iso.segment",
    "m4v": "video/x-m4v",
    "mkv": "video/matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "pdf": "application/pdf",
    "png": "image/png",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "tar": "application/x-tar",
    "tgz": "application/gzip",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "ts": "video/mp2t",
    "wav": "audio/wav",
    "weba": "audio/webm",
    "webm": "video/webm",
    "webp": "image/webp",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "zip": "application/zip",
    "zst": "application/zstd",
}

TYPES: dict[str, tuple[str, bool]] = {
    **{name: (f"{kind}; charset=utf-8", True) for name, kind in _TEXT.items()},
    **{name: (kind, True) for name, kind in _COMPRESSIBLE.items()},
    **{name: (kind, False) for name, kind in _COMPRESSED.items()},
}
"""Extension in lower case to (Content-Type, whether compressing such a file is worth while)."""

UNKNOWN = "application/octet-stream"
"""Content-Type of everything else: browsers save it and do not guess."""
