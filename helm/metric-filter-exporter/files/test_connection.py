"""`helm test`: waits until the exporter answers, is ready and shows its metrics.

Arguments: http or tcp (where it takes credentials: only whether it listens), its URL, and the path
of the metrics.
"""

import socket
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

SECONDS = 60
probe, url, telemetry_path = sys.argv[1:]
unverified = ssl.create_default_context()
unverified.check_hostname = False
unverified.verify_mode = ssl.CERT_NONE
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=unverified)
)


def try_once() -> None:
    """Raise OSError where something does not answer."""
    if probe == "tcp":
        place = urllib.parse.urlsplit(url)
        socket.create_connection((place.hostname, place.port), timeout=5).close()
        print(f"{place.netloc} listens")
        return
    for path in ("/-/healthy", "/-/ready", telemetry_path):
        with opener.open(url + path, timeout=5) as answer:
            body = answer.read()
    if b"metric_filter_exporter_build_info" not in body:
        raise OSError(f"{url}{telemetry_path} is not a page of metric-filter-exporter")
    print(f"{url}{telemetry_path} has {body.count(chr(10).encode())} lines")


deadline = time.monotonic() + SECONDS
while True:
    try:
        try_once()
        break
    except OSError as error:
        if time.monotonic() > deadline:
            sys.exit(f"after {SECONDS} s: {url}: {error}")
        time.sleep(1)
