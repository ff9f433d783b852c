-- wrk: asks for the paths in a file, one after the other; prints what it saw as JSON.
local wanted, at = {}, 0

function init(args)
   for path in io.lines(args[1]) do
      wanted[#wanted + 1] = wrk.format("GET", path)
   end
   at = math.random(#wanted)
end

function request()
   at = at % #wanted + 1
   return wanted[at]
end

function done(summary, latency)
   local errors = summary.errors
   io.write(string.format('\n{"rate": %.1f, "p50": %.4f, "p99": %.4f, "requests": %d, "bytes": %.0f, "seconds": %.3f, "bad": %d}\n',
      summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
      summary.requests, summary.bytes, summary.duration / 1e6,
      errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
