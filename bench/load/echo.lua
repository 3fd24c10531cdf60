-- POST 10 KB, the same bytes each time.
wrk.method = "POST"
wrk.body = string.rep("0123456789", 1024)
wrk.headers["Content-Type"] = "application/octet-stream"
