"""Write the configuration of the nginx that stands beside the Python servers."""

from pathlib import Path

from bench.paths import BUILD

TEMPLATE = """\
daemon off;
user root;
worker_processes {workers};
worker_rlimit_nofile 65536;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 300s;
    sendfile on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {behind}server {{
        listen 127.0.0.1:{port} backlog=2048{tls};
        location / {{ {location} }}
    }}
}}
"""


def write_configuration(
    port: int, workers: int, connections: int, location: str, certificates: str = "", behind: str = ""
) -> Path:
    """Write build/bench/nginx-PORT/nginx.conf with everything it needs beside it; return its path.

    Args:
        certificates: nginx's directives for TLS; none: it speaks plain HTTP.
        behind: a block `upstream`.
    """
    folder = BUILD / f"nginx-{port}"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "nginx.conf"
    path.write_text(
        TEMPLATE.format(
            folder=folder,
            port=port,
            workers=workers,
            connections=connections,
            location=location,
            behind=behind,
            tls=f" ssl; {certificates} ssl_protocols TLSv1.3" if certificates else "",
        )
    )
    return path
