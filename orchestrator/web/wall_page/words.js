// The wall's own words, in the browser's language.
const all = {
  en: {
    enrolled: 'enrolled', messages: 'messages', delivered: 'delivered',
    replies: 'replies', opted_out: 'opted out', redeemed: 'redeemed',
    find: 'Find a number or a word',
    everyone: 'All', talking: 'Talking', silent: 'Silent', off: 'Off',
    moving: 'Newest first', fixed: 'Hold still',
    count: (shown, total) => (shown === total ? `${total} phones` : `${shown} of ${total} phones`),
    connecting: 'Connecting…', down: 'Not connected. Trying again…', up: '',
    none: 'No phone matches.', empty: 'No phone has anything to show yet.',
    take: (number) => `Take a phone with the number ${number}`,
    more: (n) => `Show ${n} more`, open: (number) => `Open the phone ${number}`,
    to: (number) => (number === 'webchat' ? 'Write to the chat' : `Text ${number}`), send: 'Send', close: 'Close',
    power_off: 'Switch off', power_on: 'Switch on',
    quiet: 'Nothing yet', parts: (n) => `${n} SMS`, sent: 'Sent', arrived: 'Received by Outreach', link: 'Open', picture: 'Picture', mms: 'MMS', push: 'WAP push',
  },
  zh: {
    enrolled: '在程用户', messages: '已发消息', delivered: '已送达',
    replies: '用户回复', opted_out: '已退订', redeemed: '已兑换',
    find: '查找号码或内容',
    everyone: '全部', talking: '有回复', silent: '未回复', off: '已关机',
    moving: '最新在前', fixed: '位置不变',
    count: (shown, total) => (shown === total ? `共 ${total} 部手机` : `${shown} / ${total} 部手机`),
    connecting: '连接中…', down: '已断开，正在重连…', up: '',
    none: '没有符合的手机。', empty: '还没有手机有内容。',
    take: (number) => `启用一部号码为 ${number} 的手机`,
    more: (n) => `再显示 ${n} 部`, open: (number) => `打开手机 ${number}`,
    to: (number) => (number === 'webchat' ? '写给在线客服' : `发短信到 ${number}`), send: '发送', close: '关闭',
    power_off: '关机', power_on: '开机',
    quiet: '暂无消息', parts: (n) => `${n} 条短信`, sent: '已发出', arrived: '系统已收到', link: '打开', picture: '图片', mms: '彩信', push: 'WAP 推送',
  },
};

export const language = navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en';
export const words = all[language];
