import mooring from './index.js';

export { mooring };
export default mooring;
