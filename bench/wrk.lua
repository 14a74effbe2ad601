-- SPDX-License-Identifier: BSD-2-Clause
-- For wrk: sends the bytes of a file as they are, and prints what was counted as one line.
-- wrk.format is replaced, and no function called request is made, so that wrk builds its request once and
-- never enters Lua while it measures.

function init(args)
   local file = assert(io.open(args[1], "rb"))
   local bytes = file:read("*a")
   file:close()
   wrk.format = function() return bytes end
end

function done(summary, latency, requests)
   local e = summary.errors
   print(string.format("counted requests=%d bytes=%d us=%d connect=%d read=%d write=%d status=%d " ..
                       "timeout=%d p50=%d p99=%d", summary.requests, summary.bytes, summary.duration,
                       e.connect, e.read, e.write, e.status, e.timeout, latency:percentile(50), latency:percentile(99)))
end
