-- Count the answers by their body, which is the pid of the worker; print "pid count" lines at the end.
local threads = {}
seen = {}

function setup(thread)
  table.insert(threads, thread)
end

function response(status, headers, body)
  seen[body] = (seen[body] or 0) + 1
end

function done(summary, latency, requests)
  for _, thread in ipairs(threads) do
    for pid, count in pairs(thread:get("seen")) do
      io.write("worker ", pid, " ", count, "\n")
    end
  end
end
