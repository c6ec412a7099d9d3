/** How a boat, its crew or the weather may be. */
export const adjectives: readonly string[] = (
  'able agile airy amber ample apt ardent astute balmy bold brave breezy bright brisk buoyant calm candid ' +
  'cheerful clever coastal cosy crisp curious daring deft eager earnest easy epic fair fearless fleet fond frank ' +
  'free fresh gallant gentle gifted glad golden graceful grand handy happy hardy hearty honest hopeful humble ' +
  'jolly joyful keen kind lively loyal lucid lucky mellow merry mighty mild modest neat nimble noble patient ' +
  'placid plucky polite proud quick quiet ready robust rosy sage sandy serene sharp silent silver sincere snug ' +
  'sound spry stable steady stellar stout sturdy sunny supple swift tender tidal tidy tranquil trusty upbeat ' +
  'valiant vivid warm watchful wise witty zesty'
).split(' ');

/** Sailors, navigators, oceanographers, shipwrights and people of computing. */
export const surnames: readonly string[] = (
  'amundsen anning aronnax babbage barents baret beaufort bering bligh bouguer bowditch brunel cabot carson ' +
  'cartier chichester cook cousteau darwin dijkstra drake earle ekman ellis erikson fitzroy flinders forel franklin ' +
  'fresnel gama hadley hamilton harrison heyerdahl hopper hudson humboldt jacobs jansson kelvin kerguelen ' +
  'kernighan knuth lamport laperouse liskov lovelace magellan marconi maury mccarthy mercator moitessier munk ' +
  'nansen napier noether piccard plimsoll polo postel ritchie ross sammet shackleton shannon slocum ' +
  'somerville stevenson sverdrup swallow tabarly tasman tharp thompson torricelli turing vancouver verne vespucci ' +
  'wegener wilkes wirth zheng zuse'
).split(' ');
