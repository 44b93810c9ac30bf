package petra

// What the fuzz targets reach without a connection: one each time would make
// them a hundred times slower.
var (
	DecodeIncidents = decodeIncidents
	DecodeTenants   = decodeTenants
	NewStatusError  = newStatusError
)

// MaxDwell is the longest dwell time that is believed.
const MaxDwell = maxDwell
