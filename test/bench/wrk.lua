-- wrk's script: prints the result as JSON in its last line. An argument is the mean pause of a connection between two
-- requests in milliseconds; pauses are random, so that the connections do not fall into step.
local pause = nil

function init(args)
  if args[1] ~= nil then
    pause = tonumber(args[1])
    math.randomseed(1)
    -- A delay function costs wrk a call and a timer for each request: there is none where nothing is paced.
    function delay()
      return math.random(0, 2 * pause)
    end
  end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%f,"errors":%d,"p50Us":%f,"p99Us":%f}\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
